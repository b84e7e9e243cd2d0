"""What engines that open connections share: addresses, certificates, warm-up. Imports no HTTP library."""
