//! Signatures with keys that a guest names and never sees.
//!
//! An HMAC key is the secret's text. RSA and ECDSA keys are PEM: `PRIVATE KEY` (PKCS #8) to sign and to
//! verify, `PUBLIC KEY` to verify. An ECDSA signature is written as r and s one after the other, as JOSE
//! does; verification also takes ASN.1.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa, signature,
    signature::{EcdsaKeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

/// What the contract offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    HmacSha1,
    HmacSha256,
    HmacSha512,
    RsaPkcs1Sha256,
    EcdsaP256Sha256,
}

impl Algorithm {
    const fn hash(self) -> Option<hmac::Algorithm> {
        match self {
            Self::HmacSha1 => Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Self::HmacSha256 => Some(hmac::HMAC_SHA256),
            Self::HmacSha512 => Some(hmac::HMAC_SHA512),
            Self::RsaPkcs1Sha256 | Self::EcdsaP256Sha256 => None,
        }
    }
}

/// Whether `signature` is `key`'s over `message`.
pub(crate) fn verify(key: &str, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> Result<bool, String> {
    if let Some(hash) = algorithm.hash() {
        return Ok(hmac::verify(&hmac::Key::new(hash, key.as_bytes()), message, signed).is_ok());
    }
    let pem = Pem::read(key)?;
    if algorithm == Algorithm::RsaPkcs1Sha256 {
        let public =
            if pem.private { rsa_pair(&pem)?.public_key().as_ref().to_vec() } else { pem.der.to_vec() };
        return Ok(UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public)
            .verify(message, signed)
            .is_ok());
    }
    let public =
        if pem.private { ecdsa_pair(&pem)?.public_key().as_ref().to_vec() } else { pem.der.to_vec() };
    let fixed = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, &public).verify(message, signed);
    let asn1 = || UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, &public).verify(message, signed);
    Ok(fixed.is_ok() || asn1().is_ok())
}

/// `key`'s signature over `message`.
pub(crate) fn sign(key: &str, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, String> {
    if let Some(hash) = algorithm.hash() {
        return Ok(hmac::sign(&hmac::Key::new(hash, key.as_bytes()), message).as_ref().to_vec());
    }
    let pem = Pem::read(key)?;
    if !pem.private {
        return Err("this key can only verify: signing needs a PEM `PRIVATE KEY`".to_owned());
    }
    let failed = |_| "signing failed inside the cryptographic library".to_owned();
    if algorithm == Algorithm::RsaPkcs1Sha256 {
        let pair = rsa_pair(&pem)?;
        let mut signed = vec![0; pair.public_modulus_len()];
        pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signed)
            .map_err(failed)?;
        return Ok(signed);
    }
    let signed = ecdsa_pair(&pem)?.sign(&SystemRandom::new(), message).map_err(failed)?;
    Ok(signed.as_ref().to_vec())
}

fn rsa_pair(pem: &Pem) -> Result<rsa::KeyPair, String> {
    rsa::KeyPair::from_pkcs8(&pem.der).map_err(|_| {
        "the key is not an RSA key in PKCS #8; convert it with `openssl pkcs8 -topk8 -nocrypt`".to_owned()
    })
}

fn ecdsa_pair(pem: &Pem) -> Result<EcdsaKeyPair, String> {
    EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &pem.der).map_err(|_| {
        "the key is not a P-256 key in PKCS #8; convert it with `openssl pkcs8 -topk8 -nocrypt`".to_owned()
    })
}

struct Pem {
    private: bool,
    der: Zeroizing<Vec<u8>>,
}

impl Pem {
    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            "the key is not PEM: it must begin with `-----BEGIN PRIVATE KEY-----` or `-----BEGIN PUBLIC KEY-----`"
                .to_owned()
        };
        let inner = |kind: &str| {
            let (_, rest) = text.split_once(&format!("-----BEGIN {kind}-----"))?;
            rest.split_once(&format!("-----END {kind}-----")).map(|(inner, _)| inner)
        };
        let (private, base64) = inner("PRIVATE KEY")
            .map(|text| (true, text))
            .or_else(|| inner("PUBLIC KEY").map(|text| (false, text)))
            .ok_or_else(wrong)?;
        let base64: Zeroizing<String> = Zeroizing::new(base64.split_whitespace().collect());
        let der = BASE64_STANDARD.decode(base64.as_bytes()).map_err(|_| wrong())?;
        Ok(Self { private, der: Zeroizing::new(der) })
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;

    use super::*;

    fn pem(kind: &str, der: &[u8]) -> String {
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", BASE64_STANDARD.encode(der))
    }

    #[test]
    fn every_algorithm_verifies_its_own_signature_and_no_other() {
        let rsa = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let rsa =
            pem("PRIVATE KEY", AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&rsa).unwrap().as_ref());
        let ecdsa =
            EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let ecdsa = pem("PRIVATE KEY", ecdsa.as_ref());
        for (key, algorithm, length) in [
            ("secret", Algorithm::HmacSha1, 20),
            ("secret", Algorithm::HmacSha256, 32),
            ("secret", Algorithm::HmacSha512, 64),
            (rsa.as_str(), Algorithm::RsaPkcs1Sha256, 256),
            (ecdsa.as_str(), Algorithm::EcdsaP256Sha256, 64),
        ] {
            let mut signed = sign(key, algorithm, b"message").unwrap();
            assert_eq!(signed.len(), length, "{algorithm:?}");
            assert_eq!(verify(key, algorithm, b"message", &signed), Ok(true), "{algorithm:?}");
            assert_eq!(verify(key, algorithm, b"another", &signed), Ok(false), "{algorithm:?}");
            signed[length / 2] ^= 1;
            assert_eq!(verify(key, algorithm, b"message", &signed), Ok(false), "{algorithm:?}");
        }
    }

    #[test]
    fn a_public_key_verifies_and_does_not_sign() {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let private = pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref());
        let public = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        let public = pem("PUBLIC KEY", public.as_ref());
        let signed = sign(&private, Algorithm::EcdsaP256Sha256, b"message").unwrap();
        assert_eq!(verify(&public, Algorithm::EcdsaP256Sha256, b"message", &signed), Ok(true));
        assert!(sign(&public, Algorithm::EcdsaP256Sha256, b"message").unwrap_err().contains("only verify"));
        assert!(verify("nonsense", Algorithm::RsaPkcs1Sha256, b"", b"").unwrap_err().contains("not PEM"));
    }

    #[test]
    fn hmac_is_rfc_4231() {
        let signed = sign("Jefe", Algorithm::HmacSha256, b"what do ya want for nothing?").unwrap();
        assert_eq!(hex::encode(signed), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
