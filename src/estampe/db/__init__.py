"""The database: SQLAlchemy and Alembic, nowhere else."""
