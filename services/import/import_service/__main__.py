"""`python -m import_service`: one import worker. All of it is muster's; only the app is ours."""

from muster.bootstrap import run_worker

from import_service.tasks import app

if __name__ == "__main__":
    run_worker(app)
