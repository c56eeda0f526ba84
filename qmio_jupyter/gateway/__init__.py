"""The daemon: owns the core and the one writer. May not: decode a program, import a driver or a quantum SDK."""
