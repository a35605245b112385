"""From a database to bronze: what is asked, how far it got, what is compared. Knows no Dagster."""
