"""Plotly figures of trained models and of what training costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.shell.charts import AXIS_HEIGHT, CARD_HEIGHT, ROW_HEIGHT, new_figure
from dashboard.shell.colours import ACCENT, NEUTRAL, translucent
from model.evaluation.model_table import ModelRow
from model.evaluation.training_costs import TrainingCost


def areas(rows: Sequence[ModelRow], names: Sequence[str], served: int | None, axis_title: str) -> go.Figure:
    """The AUROC of the question of each model with its interval, a row a model, the first on top.

    Args:
        rows: the models.
        names: of the rows, on the axis.
        served: number of the row that is the served model, drawn in the accent; None draws none so.
        axis_title: what the area is of.
    """
    figure = new_figure(ROW_HEIGHT * len(rows) + AXIS_HEIGHT, showlegend=False, hovermode="closest")
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        area, colour = row.positive_auroc, ACCENT if number == served else NEUTRAL
        has_interval = not math.isnan(area.low)
        figure.add_scatter(
            x=[area.value],
            y=[name],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [area.high - area.value if has_interval else 0],
                "arrayminus": [area.value - area.low if has_interval else 0],
                "color": translucent(colour, 0.6),
                "thickness": 2,
                "width": 0,
            },
            mode="markers",
            cliponaxis=False,
            marker={"color": colour, "size": 9},
            hovertemplate=f"%{{y}}<br>AUROC %{{x:.3f}}, 95 % interval {area.low:.3f} to {area.high:.3f}<br>"
            f"{row.images:,} images of {row.lesions:,} lesions<extra></extra>",
        )
    figure.update_xaxes(title=axis_title, range=[0.5, 1], dtick=0.1, showgrid=True)
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=list(names)[::-1], showgrid=False)
    return figure


def speeds(costs: Sequence[TrainingCost], own: str, cloud: str) -> go.Figure:
    """Images a second by images of an epoch: a machine of one's own and a cloud's.

    Args:
        costs: the trainings.
        own, cloud: what the legend calls the two.
    """
    figure = new_figure(CARD_HEIGHT, hovermode="closest")
    for name, is_cloud, colour, symbol in ((own, False, NEUTRAL, "circle"), (cloud, True, ACCENT, "diamond")):
        group = [cost for cost in costs if cost.is_cloud == is_cloud]
        if not group:
            continue
        figure.add_scatter(
            x=[cost.training_images for cost in group],
            y=[cost.images_per_second for cost in group],
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 10},
            customdata=[
                (cost.instance or cost.cpu, cost.cores, cost.gpu or "none", cost.seconds_an_epoch, cost.backbone)
                for cost in group
            ],
            hovertemplate="%{customdata[0]}, %{customdata[1]} cores, graphics card: %{customdata[2]}<br>"
            "%{customdata[4]}, %{x:,} images<br>%{y:.1f} images/s, %{customdata[3]:.0f} s an epoch<extra></extra>",
        )
    sizes = sorted({cost.training_images for cost in costs})
    texts = [f"{size:,}" for size in sizes]
    figure.update_xaxes(title="training images", type="log", tickvals=sizes, ticktext=texts, showgrid=True)
    figure.update_yaxes(title="images a second", rangemode="tozero", showgrid=True)
    return figure
