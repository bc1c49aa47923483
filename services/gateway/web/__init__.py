"""The plain live page: what is offered, what runs, what was paid."""
