# syntax=docker/dockerfile:1
# Four images from one file, the dashboard, the dashboard without TensorFlow, the API, and training in a cloud:
# docker build --target dashboard -t lesionlens . && docker run -p 127.0.0.1:8080:8080 -e ALLOW_ANONYMOUS=1 lesionlens
# docker build --target dashboard-slim -t lesionlens:slim .    # without TensorFlow: no heatmap methods on demand
# docker build --target api -t lesionlens-api . && docker run -p 127.0.0.1:8080:8080 -e API_TOKENS=... lesionlens-api
# docker build --target train -t lesionlens-train .            # deploy/README.md tells how it is started
# --build-arg TASK=retina has the API carry that model alone, and the dashboard open with it.
# What pip needs to install stays in the stages named build.
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv --without-pip /opt/venv

FROM build AS build-slim
COPY requirements.txt .
# pip runs from outside the environment, so that no installer ends up in the image. LiteRT alone answers; TensorFlow is
# for tf-keras-vis.
RUN grep -vE '^(tensorflow|tensorflow-cpu|keras|tf-keras-vis)==' requirements.txt > slim.txt \
    && python -m pip --python /opt/venv/bin/python install -r slim.txt
# Tools, C++ headers and tests of the packages: 110 MB that nothing here reads.
RUN cd /opt/venv/lib/python3.11/site-packages \
    && rm -rf ai_edge_litert/tools ai_edge_litert/vendors pyarrow/include pyarrow/tests pandas/tests \
    && find scipy -type d -name tests -prune -exec rm -rf {} +

FROM build-slim AS build-dashboard
RUN python -m pip --python /opt/venv/bin/python install -r requirements.txt
# C++ headers for compiling TensorFlow extensions: 287 MB that nothing here reads.
RUN rm -rf /opt/venv/lib/python3.11/site-packages/tensorflow/include

FROM build AS build-api
COPY requirements-api.txt .
RUN python -m pip --python /opt/venv/bin/python install -r requirements-api.txt
ARG TASK=skin
WORKDIR /source
COPY data data
COPY model model
# As in the Lambda bundle: the modules, of the weights what serving reads, and no tools of the packages.
RUN /opt/venv/bin/python -c "from pathlib import Path as P; from model.server import bundle as b; \
    b.copy_artifact(P('model/weights/$TASK'), P('/app/model/weights/$TASK')); b.copy_code(P('/app'))" \
    && rm -rf /opt/venv/lib/python3.11/site-packages/ai_edge_litert/tools \
        /opt/venv/lib/python3.11/site-packages/ai_edge_litert/vendors

FROM python:3.11-slim-bookworm AS runtime
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPENBLAS_NUM_THREADS=1 \
    HOME=/tmp \
    PORT=8080
# The base image brings an installer of its own; nothing is installed from here on.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin lesionlens \
    && python -m pip uninstall --yes --root-user-action ignore pip setuptools wheel \
    && rm -rf /usr/local/lib/python3.11/ensurepip
WORKDIR /app
COPY LICENSE LICENSE-WEIGHTS.md ./
EXPOSE 8080
# Exec form below: the server is process 1, so that SIGTERM reaches it; it finishes what runs and ends within 2 s.

FROM runtime AS api
# SageMaker starts its containers with the one argument `serve`.
RUN printf '#!/bin/sh\nexec python -m model.server serve\n' > /usr/local/bin/serve && chmod 755 /usr/local/bin/serve
COPY --from=build-api /opt/venv /opt/venv
COPY --from=build-api /app /app
ARG TASK=skin
ENV MODEL_DIR=model/weights/$TASK
USER 10001
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/readyz', timeout=4)"]
# Listens on $PORT, and refuses to start without API_TOKENS or API_OIDC_ISSUER unless ALLOW_ANONYMOUS=1.
CMD ["python", "-m", "model.server", "--address", "0.0.0.0"]

FROM runtime AS dashboard-runtime
ARG TASK=skin
ENV JSON_LOGS=1 MODEL_DIR=model/weights/$TASK
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/_stcore/health', timeout=4)"]
# Listens on $PORT, and refuses to start without sign-in (AUTH=oidc) unless ALLOW_ANONYMOUS=1 says that something else
# guards it.
CMD ["python", "-m", "dashboard.server", "--address", "0.0.0.0"]

FROM scratch AS dashboard-files
COPY .streamlit/config.toml /app/.streamlit/config.toml
COPY data /app/data
COPY model /app/model
COPY dashboard /app/dashboard
COPY pages /app/pages
COPY results /app/results

FROM dashboard-runtime AS dashboard-slim
COPY --from=build-slim /opt/venv /opt/venv
COPY --from=dashboard-files /app /app
# Cases and images of a container without DATABASE_URL and IMAGE_STORE; a volume mounted here keeps them.
RUN install --directory --mode 700 --owner 10001 data/local
USER 10001

# SageMaker and Vertex AI mount what a job reads and keeps for root alone, so this image has no user of its own.
FROM runtime AS train
COPY --from=build-dashboard /opt/venv /opt/venv
COPY data /app/data
COPY model /app/model
ENTRYPOINT ["python", "-m", "model.train"]

# Last, so that a build without --target makes it.
FROM dashboard-runtime AS dashboard
COPY --from=build-dashboard /opt/venv /opt/venv
COPY --from=dashboard-files /app /app
RUN install --directory --mode 700 --owner 10001 data/local
USER 10001
