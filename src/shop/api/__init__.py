"""The HTTP API of the shop: `shop.api.app.handler` is the function behind an API Gateway HTTP API.

`routes` says what can be asked, `schemas` what may come in, `problems` what goes wrong, `answers` what goes out.
"""
