"""Judges the tokens of test_ident_jwt_peer with PyJWT: python3 jwt_peer.py FOLDER.

FOLDER/tokens holds lines "ALG KIND TOKEN"; FOLDER/ALG is a secret or public key, FOLDER/ALG.jwks a
key set."""
import json
import pathlib
import sys

import jwt

ERRORS = {
    "good": None,
    "expired": jwt.ExpiredSignatureError,
    "wrong-signature": jwt.InvalidSignatureError,
    "alg-none": jwt.InvalidAlgorithmError,
    "wrong-audience": jwt.InvalidAudienceError,
    "hs256-public-key": jwt.InvalidAlgorithmError,
    "other-certificate": None,
}


def key_of(folder, alg, token):
    path = folder / f"{alg}.jwks"
    if not path.exists():
        return (folder / alg).read_text()
    keys = json.loads(path.read_text())["keys"]
    assert all(k["alg"] == alg and k["use"] == "sig" and "d" not in k for k in keys), keys
    kid = jwt.get_unverified_header(token)["kid"]
    return next(k for k in jwt.PyJWKSet.from_dict({"keys": keys}).keys if k.key_id == kid).key


def judge(folder, alg, kind, token):
    try:
        claims = jwt.decode(token, key_of(folder, alg, token), algorithms=[alg], audience="api",
                            options={"require": ["exp", "iat", "nbf", "jti", "sub"]})
    except jwt.PyJWTError as error:
        return type(error), None
    return None, claims


def main():
    folder = pathlib.Path(sys.argv[1])
    thumbprint = (folder / "thumbprint").read_text()
    jtis, seen = set(), set()
    for line in (folder / "tokens").read_text().splitlines():
        alg, kind, token = line.split(" ")
        error, claims = judge(folder, alg, kind, token)
        assert error == ERRORS[kind], (alg, kind, error, token)
        seen.add((alg, kind))
        if claims is not None:
            is_own = claims["cnf"]["x5t#S256"] == thumbprint
            assert is_own == (kind == "good"), (alg, kind, claims)
            assert claims["jti"] not in jtis
            jtis.add(claims["jti"])
    hmacs = sum(alg.startswith("HS") and kind == "good" for alg, kind in seen)
    assert len(seen) == len({alg for alg, _ in seen}) * len(ERRORS) - hmacs, seen


main()
