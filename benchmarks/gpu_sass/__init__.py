"""Static counts of the machine code of the CUDA kernels: instructions, bytes in flight, traffic. Needs no GPU.

    python -m benchmarks.gpu_sass [--before COMMIT] [--architecture sm_90] [--json FILE]

Needs `pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm`. It prints a Markdown table of the kernels as they are and
as they were at a commit. For what is counted see `loops.py`, for which kernels `cases.py`. Nothing is timed.
"""
