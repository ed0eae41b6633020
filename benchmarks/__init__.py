"""The project's own measurements. Each module is a command that prints ratios measured in one run."""
