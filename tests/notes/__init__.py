"""The figures of the four sets of notes that dnnkit grew out of: one module a set, a function a figure."""
