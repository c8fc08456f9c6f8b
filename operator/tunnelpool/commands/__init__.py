"""What the command line does, each as a use case of its own; here the parts for one run are made."""
