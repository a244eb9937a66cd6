"""Schema migrations, run by ``archive.database.open_database``."""
