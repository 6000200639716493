"""What NVIDIA's assembler makes of the CUDA kernels, counted: instructions, bytes in flight, traffic. Needs no GPU.

    python -m benchmarks.gpu_sass [--before COMMIT] [--architecture sm_90] [--json FILE]

Needs `pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm`. It prints a table in Markdown, of the kernels as they are
and as they were at a commit. What is counted, and how: `loops.py`; of which kernels: `cases.py`. It tells no time.
"""
