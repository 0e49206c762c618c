"""A Django site in one file, for the tests: run as django_site:application by Gunicorn."""
import hashlib
import os
import time

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="only-for-tests",
    ALLOWED_HOSTS=os.environ.get("SITE_HOSTS", "app.test").split(","),
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SITE_DATABASE"]}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    SECURE_SSL_REDIRECT=True,
    SECURE_HSTS_SECONDS=600,
    SESSION_COOKIE_SECURE=True,
    CSRF_COOKIE_SECURE=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.contrib.auth import authenticate, login  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402


def prepare():
    """Makes the tables and the user."""
    from django.contrib.auth.models import User

    call_command("migrate", run_syncdb=True, verbosity=0)
    User.objects.create_user("demo", password="demo")


def whoami(request):
    return JsonResponse(
        {
            "secure": request.is_secure(),
            "host": request.get_host(),
            "forwarded_for": request.META.get("HTTP_X_FORWARDED_FOR"),
            "user": request.user.get_username(),
        }
    )


def sign_in(request):
    if request.method != "POST":
        return HttpResponse(get_token(request))
    user = authenticate(username=request.POST["username"], password=request.POST["password"])
    if user is None:
        return HttpResponse(status=403)
    login(request, user)
    return HttpResponse("in")


@csrf_exempt
def upload(request):
    digest, length = hashlib.sha256(), 0
    while True:
        part = request.read(65536)
        if not part:
            break
        digest.update(part)
        length += len(part)
    return JsonResponse({"sha256": digest.hexdigest(), "length": length})


def stream(request):
    def parts():
        for number in range(4):
            yield "part %d\n" % number
            time.sleep(0.3)

    return StreamingHttpResponse(parts(), content_type="text/plain")


def some_bytes(request, length):
    """Byte number n is n modulo 251."""
    pattern = bytes(range(251))
    return HttpResponse((pattern * (length // 251 + 1))[:length], content_type="application/octet-stream")


def slow(request):
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse("slow")


urlpatterns = [
    path("whoami/", whoami),
    path("login/", sign_in),
    path("upload/", upload),
    path("stream/", stream),
    path("slow/", slow),
    path("bytes/<int:length>/", some_bytes),
]
application = WSGIHandler()
