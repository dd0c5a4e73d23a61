"""Citizens that machines share through PostgreSQL."""
