"""Facts: what a fact is, the bundled world, and reading what people bring."""
