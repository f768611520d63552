"""One record handler under Powertools' BatchProcessor and under a worker: docs/batch-processor.md."""
