"""The model over HTTP, with the contracts of SageMaker, Vertex AI and Lambda."""
