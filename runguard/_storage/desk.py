"""What an operator does about alerts: the only writes of an operator's role."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import Any, Final

from sqlalchemy import ColumnElement, null, select, update

from .._errors import ConfigurationError
from .._records import AlertRecord
from .tables import alert
from .types import db_now
from .views import ALERT_COLUMNS, Views, storable
