"""The same answers under the contracts of SageMaker and Vertex AI.

Their routes ask for no token: both platforms authorise the caller and are the only ones that reach the container. They
exist only where the platform starts it (`serve`, or the `AIP_` variables).

Source:
    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
    https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import TypeAdapter

from model.analysis.answers import published_json, to_json
from model.inference.clinical import PatientFacts
from model.server.bodies import (
    MAX_BATCH,
    SentImage,
    Upload,
    decode_base64,
    heatmap_of,
    is_prepared,
    json_object,
    media_type,
    read_body,
    read_upload,
)
from model.server.dependencies import RecordOf, ServiceOf, held
from model.server.facts import facts_of, facts_of_text
from model.server.problems import Problem
from model.server.service import Item

# SageMaker hands a caller's custom attributes on in this header; InvokeEndpoint has no query.
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


@dataclass(frozen=True)
class Predictions:
    """Vertex AI's answer: one result an instance, in order."""

    predictions: tuple[Item, ...]


_PREDICTIONS = TypeAdapter(Predictions)


def sagemaker_routes() -> APIRouter:
    """`GET /ping` and `POST /invocations`, which takes what /v1/predict takes.

    What stands in the query there is a custom attribute here: `heatmap=png,age=60,site=lower extremity`.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/ping")
    def ping(service: ServiceOf) -> Response:
        service.check_readiness()
        return Response()

    @router.post("/invocations", dependencies=[Depends(held)])
    async def invocations(request: Request, service: ServiceOf, record: RecordOf) -> Response:
        attributes = _attributes(request)
        upload = await read_upload(request, "image", facts_of_text(attributes))
        asked = upload.heatmap or heatmap_of(attributes) or "none"
        (image,) = upload.prepared(is_prepared(attributes)).images
        return _json(to_json(await service.answer(image, asked, record), service.task))

    return router


def vertex_routes(health_route: str | None, predict_route: str) -> APIRouter:
    """Vertex AI's health and prediction routes, at the addresses it names.

    `{"instances": [{"b64": "..."}], "parameters": {"heatmap": "maps"}}` gives `{"predictions": [...]}` with an answer
    or a problem each; `{"image": {"b64": "..."}}` is taken as an instance as well. `age` and `site` may stand in an
    instance or, for all of them, in `parameters`.
    """
    router = APIRouter(include_in_schema=False)

    @router.get(health_route or "/health")
    def health(service: ServiceOf) -> Response:
        service.check_readiness()
        return Response()

    @router.post(predict_route, dependencies=[Depends(held)])
    async def predict(request: Request, service: ServiceOf, record: RecordOf) -> Response:
        if media_type(request) != "application/json":
            raise Problem("unsupported_media_type", "expected application/json, received another Content-Type")
        upload = upload_of_instances(await read_body(request))
        items = await service.items(upload.images, upload.heatmap or "none", record)
        return _json(published_json(_PREDICTIONS, Predictions(tuple(items)), service.task))

    return router


def upload_of_instances(body: bytes) -> Upload:
    """The images of a Vertex AI request; raises Problem `invalid_request` where it holds none or too many."""
    document = json_object(body)
    instances, parameters = document.get("instances"), document.get("parameters") or {}
    if not isinstance(instances, list) or not 1 <= len(instances) <= MAX_BATCH or not isinstance(parameters, dict):
        raise Problem(
            "invalid_request",
            f'expected {{"instances": [{{"b64": "..."}}]}} with 1 to {MAX_BATCH} images, received something else',
        )
    shared = facts_of(parameters)
    upload = Upload(tuple(_sent_image(instance, shared) for instance in instances), heatmap_of(parameters))
    return upload.prepared(is_prepared(parameters))


def _sent_image(instance: Any, facts: PatientFacts) -> SentImage:
    fields = instance if isinstance(instance, dict) else {}
    image = fields.get("image", fields)
    return SentImage(decode_base64(image.get("b64") if isinstance(image, dict) else image), facts_of(fields, facts))


def _attributes(request: Request) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in request.headers.get(_ATTRIBUTES, "").split(","))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
