"""From bronze rows to the silver table: the batch, the stage on local disk, audits, the asset, going back."""
