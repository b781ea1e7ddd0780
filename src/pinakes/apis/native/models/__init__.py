"""What goes over the wire, as FastAPI reads and documents it: one module for each subject."""
