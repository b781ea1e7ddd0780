"""Browser-based uploads as S3 has them: a form posted with a signed policy (pathomiq contract, section 5).

Parsing, signing and judging only: nothing here stores a byte of an upload.
"""
