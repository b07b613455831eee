//! The pharmacist's console, on the typed client only.
