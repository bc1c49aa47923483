"""What turns a real machine into a metered one: a folder for each kind, the same file names in each."""
