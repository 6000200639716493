"""The figures of the four sets of course notes that dnnkit grew out of: one module per set, a function per figure."""
