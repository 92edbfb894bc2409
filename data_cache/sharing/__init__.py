"""Between machines and labs: download, verify, fingerprint, describe, preview."""
