// Clusters of blocks by the compiler's built-in names; cooperative_groups.h has them as a group.
#pragma once

inline dim3 __clusterDim() { return cuda_on_cpu::cluster_size; }
inline dim3 __clusterGridDimInClusters() {
    const dim3 size = __clusterDim();
    return {gridDim.x / size.x, gridDim.y / size.y, gridDim.z / size.z};
}
inline dim3 __clusterIdx() {
    const dim3 size = __clusterDim();
    return {blockIdx.x / size.x, blockIdx.y / size.y, blockIdx.z / size.z};
}
inline dim3 __clusterRelativeBlockIdx() {
    const dim3 size = __clusterDim();
    return {blockIdx.x % size.x, blockIdx.y % size.y, blockIdx.z % size.z};
}
inline unsigned __clusterSizeInBlocks() {
    const dim3 size = __clusterDim();
    return size.x * size.y * size.z;
}
inline unsigned __clusterRelativeBlockRank() {
    const dim3 size = __clusterDim(), at = __clusterRelativeBlockIdx();
    return at.x + size.x * (at.y + size.y * at.z);
}

inline void __cluster_barrier_arrive(Where where = Where::current()) { cuda_on_cpu::cluster_arrive(false, where); }
inline void __cluster_barrier_arrive_relaxed(Where where = Where::current()) { cuda_on_cpu::cluster_arrive(true, where); }
inline void __cluster_barrier_wait(Where where = Where::current()) { cuda_on_cpu::cluster_wait(where); }

inline void* __cluster_map_shared_rank(const void* address, unsigned rank) { return cuda_on_cpu::map_shared(address, rank); }
inline unsigned __cluster_query_shared_rank(const void* address) { return cuda_on_cpu::shared_rank(address); }
