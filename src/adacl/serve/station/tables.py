"""The tables of a station's database, and the columns that are read back."""

from __future__ import annotations

import sqlalchemy as sql

METADATA = sql.MetaData()
ANSWERS = sql.Table(
    "adacl_answers",
    METADATA,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("time", sql.String(32), nullable=False),
    sql.Column("model", sql.Text, nullable=False),
    sql.Column("fingerprint", sql.String(64), nullable=False),
    sql.Column("request", sql.String(16), nullable=False),
    sql.Column("result", sql.Integer, nullable=False),
    sql.Column("name", sql.Text, nullable=False),
    sql.Column("bytes", sql.Integer, nullable=False),
    sql.Column("sha256", sql.String(64)),
    sql.Column("height", sql.Integer),
    sql.Column("width", sql.Integer),
    sql.Column("pred_score", sql.Float),
    sql.Column("raw_score", sql.Float),
    sql.Column("threshold", sql.Float, nullable=False),
    sql.Column("pred_label", sql.Integer),
    sql.Column("regions", sql.JSON(none_as_null=True)),
    sql.Column("remark", sql.Text),
    sql.Column("error", sql.Text),
    sql.Column("seconds", sql.Float, nullable=False),
    sql.Column("thumbnail", sql.LargeBinary),
    sql.UniqueConstraint("request", "result"),
    sql.Index("adacl_answers_fingerprint", "fingerprint", "id"),
    sqlite_autoincrement=True,
)
FEEDBACK = sql.Table(
    "adacl_feedback",
    METADATA,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("time", sql.String(32), nullable=False),
    sql.Column(
        "answer", sql.ForeignKey(ANSWERS.c.id, ondelete="CASCADE"), nullable=False, index=True
    ),
    sql.Column("true_label", sql.Integer, nullable=False),
    sql.Column("note", sql.Text, nullable=False),
    sqlite_autoincrement=True,
)
SHOWN = [column for column in ANSWERS.c if column.name not in ("id", "thumbnail")]
COLUMNS = [*(column.name for column in SHOWN), "true_label", "told", "note"]
