"""What a cloud adds to a TEE: its own services that answer to evidence.

    aws            a key released by AWS KMS to what runs on Nitro: question, and what may come back
    aws_envelope   the envelope in which KMS puts what it releases (CMS EnvelopedData, RFC 5652)
    ber            the encoding of that envelope, brought to DER
    aws_transport  the question itself: botocore, imported when it is asked (``sealroom[aws]``)

`aws` and what stands below it do no I/O: whoever asks hands in the module that makes documents and the way to KMS.
"""
