"""The custom resources: typed models, and the CustomResourceDefinitions generated from them."""
