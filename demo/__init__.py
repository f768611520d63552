"""The shop on this machine: what `make run`, `make local` and `make order` play, beside the code that is deployed."""
