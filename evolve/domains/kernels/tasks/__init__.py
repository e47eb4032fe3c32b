"""The tasks: for each a module (what is asked, inputs, reference) and a naive C seed of the same name."""
