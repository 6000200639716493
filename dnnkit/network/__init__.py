"""The network people make, and how it becomes the program that backends run."""
