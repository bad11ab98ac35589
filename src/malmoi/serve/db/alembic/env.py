"""What Alembic runs for every command: it works on the connection that `migrate.upgrade` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,  # SQLite alters a table by rebuilding it
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
