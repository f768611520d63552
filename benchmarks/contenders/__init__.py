"""What is measured. Each runs in a process of its own and does what its documentation tells its users to do."""
