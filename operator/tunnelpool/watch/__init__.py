"""kopf as the informer: the only package that imports it, and nothing of it but lists and watches."""
