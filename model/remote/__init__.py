"""A model that runs elsewhere: over HTTP, SageMaker, Vertex AI or Lambda."""
