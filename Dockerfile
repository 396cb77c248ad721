# docker build -t lethe . && docker run --rm -p 7860:7860 lethe
#
# With CUDA: --build-arg TORCH_INDEX=https://pypi.org/simple, and docker run --gpus all. The wheels bring their
# own CUDA libraries, so the base stays the same. In a Docker Space, set TORCH_INDEX as a Space variable.
#
# Built by no Docker engine yet: tests/test_docker.py carries out these instructions in a scratch folder, with
# stand-ins for useradd, chown and pip, and starts the page from what was copied.
ARG BASE=python:3.11-slim
FROM ${BASE}

RUN useradd --create-home --uid 1000 user
WORKDIR /home/user/app

# Before the code, so that a change of code does not install everything anew.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements.txt ./
RUN pip install --no-cache-dir --index-url ${TORCH_INDEX} "$(grep '^torch[<>=]' requirements.txt)" \
 && pip install --no-cache-dir -r requirements.txt

# All that is ever written; the code stays root's. To keep runs, mount a volume on data.
RUN mkdir -p /home/user/data && chown 1000:1000 /home/user/data
USER 1000
ENV GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    GRADIO_TEMP_DIR=/home/user/data/runs/uploads \
    HF_HOME=/home/user/data/hf \
    HOME=/home/user \
    LETHE_CACHE=/home/user/data/cache \
    LETHE_RUNS=/home/user/data/runs \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

COPY assets ./assets
COPY unlearning ./unlearning
COPY app.py ./

EXPOSE 7860
HEALTHCHECK --start-period=60s --timeout=5s \
    CMD ["python", "-c", "import os, urllib.request as r; port = os.environ.get('LETHE_PORT') or os.environ['GRADIO_SERVER_PORT']; r.urlopen(f'http://127.0.0.1:{port}/', timeout=4)"]
CMD ["python", "app.py"]
