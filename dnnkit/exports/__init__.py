"""Networks written for other programs: NumPy, ONNX, C. One walk over the stages, and a writer per language."""
