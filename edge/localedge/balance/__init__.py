"""Which pool and which origin answer a request. Pure, with injected chance."""
