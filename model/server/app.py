"""The model over HTTP.

    python -m model.server                                   # http://127.0.0.1:8080, for this machine only
    API_TOKENS=$(openssl rand -hex 16) python -m model.server --address 0.0.0.0
    curl -H 'Content-Type: image/jpeg' --data-binary @lesion.jpg 'http://127.0.0.1:8080/v1/predict?age=60&site=back'
    python -m model.server serve                             # in a SageMaker container

LiteRT only: no TensorFlow, no pandas. Settings are environment variables, see `model.server.settings`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from data.tasks.task import Task
from model.analysis.answers import (
    NOTICE,
    Answer,
    Heatmap,
    ModelFacts,
    published_json,
    published_names,
    to_json,
)
from model.analysis.prepared_image import PreparedImage, png_of, prepared_image
from model.inference.clinical import NO_FACTS
from model.server.bodies import media_type, read_upload, request_body
from model.server.contracts import sagemaker_routes, vertex_routes
from model.server.dependencies import Client, RecordOf, ServiceOf, held, watcher, within_rate
from model.server.facts import QueryFacts
from model.server.metrics import MEDIA_TYPE
from model.server.problems import Problem, Responses, problem_response, problem_responses
from model.server.request_log import RequestRecorder, record_of
from model.server.service import Batch, Service
from model.server.settings import ServerSettings

DESCRIPTION = f"""Classifies {{images}} into the {{count}} {{labels}} of {{dataset}}. {NOTICE}

An image that cannot be decoded is a problem (422). An image that can be decoded but not judged is an answer (200) with
`refusal` and without prediction. Age and body site are optional; `facts` in the answer says what it takes into
account. Errors are `application/problem+json` (RFC 9457) with a stable `reason`."""

HeatmapQuery = Annotated[
    Heatmap,
    Query(
        description="`png` adds the heatmap of `prediction` over the image. `maps` adds the whole forward pass, also "
        "of a refused image, for programs that judge the quality themselves."
    ),
]
PreparedQuery = Annotated[
    bool, Query(description="Whether the image is what /v1/preprocess gave: then it is not prepared a second time.")
]
_MODEL = TypeAdapter(ModelFacts)
_BATCH = TypeAdapter(Batch)
_PREPARED = TypeAdapter(PreparedImage)
_PNG: Responses = {200: {"content": {"image/png": {"schema": {"type": "string", "contentMediaType": "image/png"}}}}}
_TEXT: Responses = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
# In this order: who asks, how often, how much, and only then is the body read.
_GUARDED = [Depends(within_rate), Depends(held)]
_READING = problem_responses(401, 408, 413, 415, 422, 429, 503)

health_routes = APIRouter(tags=["operation"])
guarded_routes = APIRouter()


@health_routes.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process lives."""
    return {"status": "ok"}


@health_routes.get("/readyz", response_model=ModelFacts, responses=problem_responses(503))
def readyz(service: ServiceOf) -> Response:
    """Whether the model can answer: its files are there and have not changed since they were hashed."""
    return _json(_MODEL.dump_json(service.check_readiness()))


@guarded_routes.get(
    "/metrics",
    tags=["operation"],
    response_class=Response,
    responses={**_TEXT, **problem_responses(401, 503)},
    dependencies=[Depends(watcher)],
)
def metrics(service: ServiceOf) -> Response:
    """Metrics in Prometheus's text format, for whoever may use the API; where that is anybody, for this machine."""
    return Response(service.metrics.text(), media_type=MEDIA_TYPE)


@guarded_routes.post(
    "/v1/predict",
    tags=["model"],
    response_model=Answer,
    responses=_READING,
    openapi_extra=request_body("image", many=False),
    dependencies=_GUARDED,
)
async def predict(
    request: Request,
    service: ServiceOf,
    record: RecordOf,
    facts: QueryFacts,
    heatmap: HeatmapQuery = "none",
    prepared: PreparedQuery = False,
) -> Response:
    """Classify one image, sent as it is, as a form or as JSON."""
    upload = (await read_upload(request, "image", facts)).prepared(prepared)
    return _json(to_json(await service.answer(upload.images[0], upload.heatmap or heatmap, record), service.task))


@guarded_routes.post(
    "/v1/predict/batch",
    tags=["model"],
    response_model=Batch,
    responses=_READING,
    openapi_extra=request_body("images", many=True),
    dependencies=_GUARDED,
)
async def predict_batch(
    request: Request,
    service: ServiceOf,
    record: RecordOf,
    client: Client,
    facts: QueryFacts,
    heatmap: HeatmapQuery = "none",
) -> Response:
    """Classify several images; each gets its own answer or problem, in order.

    Age and site hold for all of them; in JSON an image may state its own.
    """
    upload = await read_upload(request, "images", facts, many=True)
    service.rate_limit.charge(client, len(upload.images) - 1)
    items = await service.items(upload.images, upload.heatmap or heatmap, record)
    return _json(published_json(_BATCH, Batch(tuple(items)), service.task))


@guarded_routes.post(
    "/v1/heatmap",
    tags=["model"],
    response_class=Response,
    responses={**_PNG, **_READING},
    openapi_extra=request_body("image", many=False),
    dependencies=_GUARDED,
)
async def heatmap(request: Request, service: ServiceOf, record: RecordOf, facts: QueryFacts) -> Response:
    """The heatmap of `prediction` laid over one image, as PNG. It shows what raised the class score, not disease."""
    upload = await read_upload(request, "image", facts)
    return Response(await service.overlay(upload.images[0], record), media_type="image/png")


@guarded_routes.post(
    "/v1/preprocess",
    tags=["model"],
    response_model=PreparedImage,
    responses={**_PNG, **_READING},
    openapi_extra=request_body("image", many=False, is_asked=False),
    dependencies=_GUARDED,
)
async def preprocess(request: Request, service: ServiceOf, record: RecordOf) -> Response:
    """What the network would be shown of one image, at its size, as PNG; base64 in JSON where it came so."""
    upload = await read_upload(request, "image", NO_FACTS)
    image = await service.prepared(upload.images[0], record)
    if media_type(request) == "application/json":
        return _json(_PREPARED.dump_json(prepared_image(image)))
    return Response(png_of(image), media_type="image/png")


class UnderBasePath:
    """ASGI middleware: routes also answer behind a base path, since some proxies take it off and some do not."""

    def __init__(self, app: ASGIApp, base_path: str) -> None:
        self._app = app
        self._base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # In place, since the recorder reads the route from the same scope.
        scope["root_path"] = self._base_path
        await self._app(scope, receive, send)


def create_app(settings: ServerSettings, is_sagemaker: bool = False) -> FastAPI:
    """The API as an ASGI application, its model loaded.

    Args:
        settings: how it serves; Vertex AI's routes exist where it names them.
        is_sagemaker: whether SageMaker's routes exist.
    """
    service = Service(settings)
    # No pages of Swagger and ReDoc: they would load scripts from elsewhere.
    app = FastAPI(
        title="LesionLens",
        version="1",
        description=_description(service.task),
        docs_url=None,
        redoc_url=None,
    )
    app.openapi = partial(_openapi, app, service.task, app.openapi)  # type: ignore[method-assign]
    app.state.service = service
    app.include_router(health_routes)
    # For the OpenAPI document; `Service.authorization` decides.
    app.include_router(
        guarded_routes, dependencies=[] if settings.is_open else [Security(HTTPBearer(auto_error=False))]
    )
    if is_sagemaker:
        app.include_router(sagemaker_routes())
    if settings.vertex_predict_route is not None:
        app.include_router(vertex_routes(settings.vertex_health_route, settings.vertex_predict_route))
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(RequestValidationError)(_on_invalid_parameter)
    if settings.base_path:
        app.add_middleware(UnderBasePath, base_path=settings.base_path)
    app.add_middleware(RequestRecorder, metrics=service.metrics)
    return app


def _description(task: Task) -> str:
    return task.worded(DESCRIPTION)


def _openapi(app: FastAPI, task: Task, document_of: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The OpenAPI document, in which answers have the task's names."""
    if app.openapi_schema is None:
        answer = document_of()["components"]["schemas"]["Answer"]
        names = published_names(task)
        answer["properties"] = {names.get(name, name): one for name, one in answer["properties"].items()}
        answer["required"] = [names.get(name, name) for name in answer["required"]]
    return cast(dict[str, Any], app.openapi_schema)


async def _on_problem(request: Request, problem: Problem) -> Response:
    record = record_of(request.scope)
    record.reason = problem.reason
    return problem_response(problem, record.request_id)


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    """What the framework itself refuses: no such address, or another method."""
    if error.status_code == 405:
        problem = Problem("method_not_allowed", "expected another method; see /openapi.json", error.headers)
    else:
        problem = Problem("not_found", "expected an address of this API, received another; see /openapi.json")
    return await _on_problem(request, problem)


async def _on_invalid_parameter(request: Request, error: RequestValidationError) -> Response:
    # Names and rules only, never what the caller wrote.
    wrong = ", ".join(f"{item['loc'][-1]}: {item['msg'].lower()}" for item in error.errors())
    return await _on_problem(request, Problem("invalid_request", f"expected other parameters: {wrong}"))


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
