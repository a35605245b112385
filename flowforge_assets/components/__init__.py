"""The YAML faces of FlowForge: validated models that build definitions. No data logic."""

from flowforge_assets.components.connection import Connection as Connection
from flowforge_assets.components.date_dimension import DateDimension as DateDimension
from flowforge_assets.components.model import Model as Model
from flowforge_assets.components.reconciliation import Reconciliation as Reconciliation
from flowforge_assets.components.sink import Sink as Sink
from flowforge_assets.components.table import Table as Table
from flowforge_assets.components.workflow import Workflow as Workflow

__all__ = ["Connection", "DateDimension", "Model", "Reconciliation", "Sink", "Table", "Workflow"]
