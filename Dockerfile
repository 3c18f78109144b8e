# syntax=docker/dockerfile:1
# The dashboard as a container:
# docker build -t lesionlens . && docker run -p 127.0.0.1:8080:8080 -e ALLOW_ANONYMOUS=1 lesionlens
# Two stages: what pip needs to install stays in the first.
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv --without-pip /opt/venv
COPY requirements.txt .
# pip runs from outside the environment, so that no installer ends up in the image.
RUN python -m pip --python /opt/venv/bin/python install -r requirements.txt
# C++ headers for compiling TensorFlow extensions: 287 MB that nothing here reads.
RUN rm -rf /opt/venv/lib/python3.11/site-packages/tensorflow/include

FROM python:3.11-slim-bookworm
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
COPY --from=build /opt/venv /opt/venv
COPY LICENSE LICENSE-WEIGHTS.md ./
COPY .streamlit/config.toml .streamlit/config.toml
COPY data/*.py data/*.csv data/
COPY data/sample data/sample
COPY data/migrations data/migrations
COPY model model
COPY dashboard dashboard
COPY pages pages
# Cases and images of a container without DATABASE_URL and IMAGE_STORE; a volume mounted here keeps them.
RUN install --directory --mode 700 --owner 10001 data/local
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/_stcore/health', timeout=4)"]
# Exec form: the server is process 1, so that SIGTERM reaches it and ends it within a second. It listens on $PORT, and
# refuses to start without sign-in (AUTH=oidc) unless ALLOW_ANONYMOUS=1 says that something else guards it.
CMD ["python", "-m", "dashboard.server", "--address", "0.0.0.0"]
