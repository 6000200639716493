// Philox4x32-10: four words of 32 random bits for a counter and a key. Contract: the package's docstring.

struct Words {
    unsigned int lane[4];
};

__device__ __forceinline__ Words philox(
    unsigned long long block, unsigned int layer, unsigned long long step, unsigned int seed, unsigned int purpose
) {
    unsigned int c0 = static_cast<unsigned int>(block), c1 = layer;
    unsigned int c2 = static_cast<unsigned int>(step), c3 = static_cast<unsigned int>(step >> 32);
    unsigned int k0 = seed, k1 = purpose;
    for (int round = 0; round < 10; ++round) {
        unsigned int high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        unsigned int high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}
