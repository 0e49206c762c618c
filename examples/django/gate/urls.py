"""The pages. Those below the blank line show what a gate must get right; the tests use them."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from gate import views

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", LoginView.as_view(template_name="gate/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", views.account, name="account"),

    path("upload/", views.upload, name="upload"),
    path("stream/", views.stream, name="stream"),
    path("slow/", views.slow, name="slow"),
    path("whoami/", views.whoami, name="whoami"),
    path("bytes/<int:count>/", views.some_bytes, name="bytes"),
    path("broken/", views.broken, name="broken"),
]
