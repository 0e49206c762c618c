"""A Django site in one file, for the tests: run as django_site:application by Gunicorn."""
import hashlib
import mimetypes
import os
import random
import time
import urllib.parse

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
from django.views.decorators.cache import cache_control, cache_page  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from django.views.decorators.http import conditional_page  # noqa: E402
from django.views.decorators.vary import vary_on_cookie  # noqa: E402
from django.template import engines  # noqa: E402

FOLDER = os.path.dirname(os.environ["SITE_DATABASE"])


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


def remote(request):
    return HttpResponse(request.META["REMOTE_ADDR"])


def some_bytes(request, length):
    """Byte number n is n modulo 251."""
    pattern = bytes(range(251))
    return HttpResponse((pattern * (length // 251 + 1))[:length], content_type="application/octet-stream")


def slow(request):
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse("slow")


@conditional_page
def page(request):
    """HTML of ?size bytes with an ETag and a Content-Length; ?field=Name:value adds a field, any number of times."""
    words = random.Random(1)
    text = "<!doctype html>\n"
    while len(text) < int(request.GET["size"]):
        text += "<p>%s %s</p>\n" % (words.choice(["paddock", "gate", "field"]), words.randrange(1000))
    response = HttpResponse(text[: int(request.GET["size"])], status=int(request.GET.get("status", 200)))
    response["Content-Length"] = request.GET["size"]
    for field in request.GET.getlist("field"):
        name, value = field.split(":", 1)
        response[name] = value
    return response


def form(request):
    """A page that sets a cookie, depends on it and repeats the CSRF token."""
    response = HttpResponse('<form><input name="csrfmiddlewaretoken" value="%s">' % get_token(request) + "x" * 2000)
    response["Content-Length"] = len(response.content)
    return response


def steps(request):
    """Writes a step behind ?fill bytes, then waits for a file of its number: who sees no step gets no other."""
    fill = "." * int(request.GET.get("fill", 0))

    def parts():
        for number in range(3):
            yield "%sstep %d\n" % (fill, number)
            while not os.path.exists("%s/go-%s-%d" % (FOLDER, request.GET["run"], number)):
                time.sleep(0.01)

    return StreamingHttpResponse(parts(), content_type=request.GET.get("type", "text/plain"))


def endless(request):
    """Text that does not compress, as long as somebody reads; the bytes so far, or "closed", are in a file."""
    path = "%s/endless-%s" % (FOLDER, request.GET["run"])

    def note(text):
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def parts():
        written = 0
        try:
            while True:
                yield os.urandom(16384).hex()
                written += 32768
                note(str(written))
        finally:
            note("closed")

    # Paddock's buffer would take in what the client does not.
    return StreamingHttpResponse(parts(), content_type="text/plain", headers={"X-Accel-Buffering": "no"})


@csrf_exempt
def send_file(request):
    """
    What django-sendfile2 0.7 answers, which Debian does not have: an empty body with the Content-Length of the file
    (whose type and encoding are guessed by its name) and, by its nginx backend, the quoted path. Also the ways of
    others: ?how=raw writes the bytes of the path, ?how=literal the value as it is given, ?how=xsendfile the path.
    """
    name, how = request.GET["name"], request.GET.get("how", "quoted")
    path = "%s/files/%s" % (FOLDER, name)
    response = HttpResponse()
    if how == "xsendfile":
        response["X-Sendfile"] = path
    elif how == "xsendfile-literal":
        response["X-Sendfile"] = name
    elif how == "raw":
        response["X-Accel-Redirect"] = ("/protected/" + name).encode()
    elif how == "literal":
        response["X-Accel-Redirect"] = name
    else:
        response["X-Accel-Redirect"] = urllib.parse.quote("/protected/" + name)
    if os.path.isfile(path):
        kind, encoding = mimetypes.guess_type(path)
        response["Content-Disposition"] = "attachment; filename*=UTF-8''%s" % urllib.parse.quote(name)
        response["Content-Length"] = os.stat(path).st_size
        response["Content-Type"] = kind or "application/octet-stream"
        if encoding:
            response["Content-Encoding"] = encoding
    response.set_cookie("seen", "1")
    for field in request.GET.getlist("field"):
        name, value = field.split(":", 1)
        response[name] = value
    return response


made = 0


def note():
    """A number that no other answer has: the process and how many it has made."""
    global made
    made += 1
    return "%d-%d" % (os.getpid(), made)


@cache_control(public=True, max_age=600)
def cached_control(request):
    return HttpResponse("<p>%s" % note())


@cache_page(600)
def cached_page(request):
    return HttpResponse("<p>%s" % note())


@vary_on_cookie
@cache_control(max_age=600)
def cached_cookie(request):
    return HttpResponse("<p>%s for %s" % (note(), request.COOKIES.get("visitor")))


@cache_control(public=True, max_age=600)
def cached_form(request):
    template = engines["django"].from_string("<form>{% csrf_token %}</form>")
    return HttpResponse(template.render({}, request))


@cache_control(max_age=600)
def cached_session(request):
    request.session["seen"] = note()
    return HttpResponse("<p>%s" % request.session["seen"])


urlpatterns = [
    path("cached/control/", cached_control),
    path("cached/page/", cached_page),
    path("cached/cookie/", cached_cookie),
    path("cached/form/", cached_form),
    path("cached/session/", cached_session),
    path("send/", send_file),
    path("page/", page),
    path("form/", form),
    path("steps/", steps),
    path("endless/", endless),
    path("whoami/", whoami),
    path("login/", sign_in),
    path("upload/", upload),
    path("stream/", stream),
    path("slow/", slow),
    path("remote/", remote),
    path("bytes/<int:length>/", some_bytes),
]
application = WSGIHandler()
