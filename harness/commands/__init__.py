"""One module for each command: `arguments(parser)` declares its options, `main(args)` does it and returns the exit code."""
