"""A page in the browser that shows what a running stack does, and lets its owner practise."""
