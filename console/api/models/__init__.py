"""What the interface takes and gives, one module a resource."""
